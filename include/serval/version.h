#ifndef SVL_VERSION_H
#define SVL_VERSION_H

#define SVL_VERSION "0.1.0"

#endif
