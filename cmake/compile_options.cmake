# SPDX-License-Identifier: MIT
# Compiler and linker settings shared by the library and the C tests.
if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
    set(CMAKE_BUILD_TYPE Release)
endif()
find_package(Threads REQUIRED)
include(CheckSymbolExists)
check_symbol_exists(__i386__ "" H5BRAGG_IS_I386)

function(h5bragg_compile_options target)
    set_target_properties(${target} PROPERTIES
        C_STANDARD 11
        C_STANDARD_REQUIRED ON
        C_EXTENSIONS OFF
        C_VISIBILITY_PRESET hidden
        POSITION_INDEPENDENT_CODE ON)
    target_include_directories(${target} PUBLIC
        $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/filter/include>)
    target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/filter/src)
    target_compile_definitions(${target} PRIVATE H5BRAGG_VERSION="${PROJECT_VERSION}")
    # A fused multiply-add rounds once where the others round twice: chunks and restored noise must
    # be the same on every CPU, so contraction is off everywhere.
    target_compile_options(${target} PRIVATE
        -ffp-contract=off -Wall -Wextra -Wconversion $<$<BOOL:${H5BRAGG_WERROR}>:-Werror>)
    # Likewise: the registers of the x87 keep more digits than a double has.
    if(H5BRAGG_IS_I386)
        target_compile_options(${target} PRIVATE -msse2 -mfpmath=sse)
    endif()
    if(H5BRAGG_SANITIZE)
        target_compile_options(${target} PRIVATE
            -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer)
        target_link_options(${target} PUBLIC -fsanitize=address,undefined)
    endif()
endfunction()

function(h5bragg_link_options target)
    # The plugin is loaded into other people's programs: libc and libm, nothing else.
    target_link_libraries(${target} PRIVATE m Threads::Threads ${CMAKE_DL_LIBS})
    if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
        target_link_options(${target} PRIVATE -Wl,--as-needed)
        if(NOT H5BRAGG_SANITIZE)
            target_link_options(${target} PRIVATE -Wl,-z,defs)
        endif()
    endif()
endfunction()
