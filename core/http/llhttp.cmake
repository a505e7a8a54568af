# llhttp, wherever it is: pkg-config, a CMake package (both 9.x), or Debian's sources (8.1).
# Gives svl_llhttp (INTERFACE), to be linked by core/http only. All differences end here:
# the header is <llhttp.h>, and SVL_LLHTTP_STRICT=1 says that lenient parsing is compiled out
# (8.x) or off unless asked for at run time (9.x).

add_library(svl_llhttp INTERFACE)
target_compile_definitions(svl_llhttp INTERFACE SVL_LLHTTP_STRICT=1)

option(SVL_LLHTTP_SYSTEM "use llhttp 9 from pkg-config or CMake when there is one" ON)
if(SVL_LLHTTP_SYSTEM)
  pkg_check_modules(LLHTTP QUIET IMPORTED_TARGET GLOBAL libllhttp>=9)
  if(LLHTTP_FOUND)
    message(STATUS "llhttp: ${LLHTTP_VERSION} (pkg-config)")
    target_link_libraries(svl_llhttp INTERFACE PkgConfig::LLHTTP)
    target_link_libraries(serval_lib PUBLIC PkgConfig::LLHTTP)
    set_property(GLOBAL APPEND PROPERTY SVL_PC_REQUIRES libllhttp)
    return()
  endif()

  find_package(llhttp 9 CONFIG QUIET)
  foreach(target llhttp::llhttp_shared llhttp::llhttp_static llhttp::llhttp)
    if(TARGET ${target})
      message(STATUS "llhttp: ${llhttp_VERSION} (CMake package)")
      set_target_properties(${target} PROPERTIES IMPORTED_GLOBAL TRUE)
      target_link_libraries(svl_llhttp INTERFACE ${target})
      target_link_libraries(serval_lib PUBLIC ${target})
      set_property(GLOBAL APPEND PROPERTY SVL_PC_LIBS -lllhttp)
      return()
    endif()
  endforeach()
endif()

# --- From sources ---------------------------------------------------------------------------

find_path(SVL_LLHTTP_INCLUDE llhttp.h PATHS /usr/share/include/llhttp /usr/include/llhttp
  DOC "folder of llhttp.h")
find_path(SVL_LLHTTP_SOURCE llhttp.c PATHS /usr/share/llhttp /usr/src/llhttp
  DOC "folder of llhttp.c, api.c and maybe http.c")
if(NOT SVL_LLHTTP_INCLUDE OR NOT SVL_LLHTTP_SOURCE)
  message(FATAL_ERROR "llhttp not found. Install it with ./dev deps (Debian: libllhttp-dev or "
    "node-llhttp), or set SVL_LLHTTP_INCLUDE and SVL_LLHTTP_SOURCE to its folders.")
endif()
file(STRINGS ${SVL_LLHTTP_INCLUDE}/llhttp.h version REGEX "define LLHTTP_VERSION_(MAJOR|MINOR) ")
string(REGEX REPLACE "[^0-9;]" "" version "${version}")
string(REPLACE ";" "." version "${version}")
message(STATUS "llhttp: ${version} (sources in ${SVL_LLHTTP_SOURCE})")
if(version VERSION_LESS 8.1)
  message(FATAL_ERROR "llhttp ${version} is too old: 8.1 or newer")
endif()

# Without strict mode llhttp 8 takes a lone CR for the end of a line, and so lets requests be
# smuggled. It must be set for the sources and for every user of the header.
set(strict -ULLHTTP_STRICT_MODE -DLLHTTP_STRICT_MODE=1)
foreach(flags "${CMAKE_C_FLAGS}" "${CMAKE_C_FLAGS_RELEASE}" "${CMAKE_C_FLAGS_DEBUG}"
    "${CMAKE_C_FLAGS_RELWITHDEBINFO}")
  if(flags MATCHES "LLHTTP_STRICT_MODE")
    message(FATAL_ERROR "LLHTTP_STRICT_MODE is not yours to set: serval needs the strict parser")
  endif()
endforeach()
target_include_directories(svl_llhttp SYSTEM INTERFACE ${SVL_LLHTTP_INCLUDE})
target_compile_options(svl_llhttp INTERFACE ${strict})

# svl_llhttp_part(name OPTIONS ... SOURCES ...): an object library without our warnings.
function(svl_llhttp_part name)
  cmake_parse_arguments(P "" "" "OPTIONS;SOURCES" ${ARGN})
  add_library(${name} OBJECT ${P_SOURCES})
  target_include_directories(${name} PRIVATE ${SVL_LLHTTP_INCLUDE})
  target_compile_options(${name} PRIVATE ${strict} -w ${P_OPTIONS})
  target_sources(serval_lib PRIVATE $<TARGET_OBJECTS:${name}>)
  set_property(GLOBAL APPEND PROPERTY SVL_OBJECTS $<TARGET_OBJECTS:${name}>)
endfunction()

set(api ${SVL_LLHTTP_SOURCE}/api.c)
if(EXISTS ${SVL_LLHTTP_SOURCE}/http.c)
  list(APPEND api ${SVL_LLHTTP_SOURCE}/http.c)
endif()
svl_llhttp_part(svl_llhttp_api SOURCES ${api})

# On x86-64 the state machine is built twice, plain and with SSE4.2 (a quarter less time on a
# browser's request), and llhttp_dispatch.c chooses at run time: the binary runs everywhere. Both
# take part in LTO: gcc remembers the processor of each function and never inlines SSE4.2 code into
# a plain caller, while the callbacks of api.c are inlined into the machine (another sixth less).
option(SVL_LLHTTP_SSE42 "choose llhttp's SSE4.2 code at run time (x86-64)" ON)
if(NOT SVL_LLHTTP_SSE42 OR NOT CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|amd64|AMD64)$")
  svl_llhttp_part(svl_llhttp_plain SOURCES ${SVL_LLHTTP_SOURCE}/llhttp.c)
  return()
endif()

# Every function the generated file defines has a name of the form llhttp__internal_*; what it
# only calls (llhttp__on_*, llhttp__after_*: api.c, http.c) keeps its name. A header of #defines
# renames the former in each variant.
file(STRINGS ${SVL_LLHTTP_SOURCE}/llhttp.c defined REGEX "^int llhttp__internal_[a-z0-9_]+\\(")
list(TRANSFORM defined REPLACE "^int (llhttp__internal_[a-z0-9_]+).*" "\\1")
list(REMOVE_DUPLICATES defined)
if(NOT "llhttp__internal_execute" IN_LIST defined)
  message(FATAL_ERROR "${SVL_LLHTTP_SOURCE}/llhttp.c is not what core/http/llhttp.cmake expects; "
    "build with -DSVL_LLHTTP_SSE42=OFF")
endif()
foreach(variant plain sse42)
  set(names "")
  foreach(name IN LISTS defined)
    string(APPEND names "#define ${name} ${name}_${variant}\n")
  endforeach()
  set(header ${PROJECT_BINARY_DIR}/generated/llhttp_${variant}.h)
  file(CONFIGURE OUTPUT ${header} CONTENT "${names}" @ONLY)
  set(options -include ${header})
  if(variant STREQUAL "sse42")
    list(APPEND options -msse4.2)
  endif()
  svl_llhttp_part(svl_llhttp_${variant} OPTIONS ${options} SOURCES ${SVL_LLHTTP_SOURCE}/llhttp.c)
endforeach()

svl_llhttp_part(svl_llhttp_dispatch SOURCES ${CMAKE_CURRENT_LIST_DIR}/llhttp_dispatch.c)
