// Package gomicro only makes fasthttp a dependency: its own benchmarks are what is run.
package gomicro

import _ "github.com/valyala/fasthttp"
