# SPDX-License-Identifier: MIT
# Where `cmake --install` puts things; docs/writers.md tells how programs find them there.
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# A Python wheel keeps plugin, headers and kernels inside the package, and nothing else.
if(SKBUILD)
    install(TARGETS h5bragg
            LIBRARY DESTINATION h5bragg/plugin
            RUNTIME DESTINATION h5bragg/plugin)
    install(FILES filter/include/h5bragg.h filter/include/h5bragg_peaks.h
              filter/include/H5Zbragg.h
            DESTINATION h5bragg/include)
    install(DIRECTORY kernels/ DESTINATION h5bragg/opencl/kernels FILES_MATCHING PATTERN "*.cl")
    return()
endif()

set(H5BRAGG_PLUGIN_DIR "${CMAKE_INSTALL_LIBDIR}/hdf5/plugin" CACHE STRING
    "Folder of the HDF5 plugin, relative to the installation prefix")
foreach(folder IN ITEMS H5BRAGG_PLUGIN_DIR CMAKE_INSTALL_LIBDIR CMAKE_INSTALL_INCLUDEDIR)
    if(IS_ABSOLUTE "${${folder}}")
        message(FATAL_ERROR "${folder} must be relative to the prefix: an installed h5bragg may be "
                            "moved, and all it holds is found from where it is.")
    endif()
endforeach()

# One folder as seen from another, both of them relative to the prefix.
function(relative_folder result FROM from TO to)
    file(RELATIVE_PATH path /prefix/${from} /prefix/${to})
    string(REGEX REPLACE "/$" "" path "${path}")
    set(${result} "${path}" PARENT_SCOPE)
endfunction()

# Until 1.0 a minor version may change the interface, so it is part of the name programs ask for.
set(soversion ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
set_target_properties(h5bragg PROPERTIES VERSION ${PROJECT_VERSION} SOVERSION ${soversion})
install(TARGETS h5bragg EXPORT h5bragg
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(FILES filter/include/h5bragg.h filter/include/h5bragg_peaks.h
              filter/include/H5Zbragg.h
        DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# HDF5 loads the plugin from a folder of its own, and programs link the library.  Both must be one
# object in a process, which holds the registered geometries: so the plugin is a link to the library.
relative_folder(library_dir FROM ${H5BRAGG_PLUGIN_DIR} TO ${CMAKE_INSTALL_LIBDIR})
set(plugin ${PROJECT_BINARY_DIR}/plugin/$<TARGET_LINKER_FILE_NAME:h5bragg>)
add_custom_command(TARGET h5bragg POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E make_directory ${PROJECT_BINARY_DIR}/plugin
    COMMAND ${CMAKE_COMMAND} -E create_symlink
            ${library_dir}/$<TARGET_SONAME_FILE_NAME:h5bragg> ${plugin})
install(FILES ${plugin} DESTINATION ${H5BRAGG_PLUGIN_DIR})

# find_package(h5bragg) in CMake.
set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/h5bragg)
configure_package_config_file(
    cmake/h5braggConfig.cmake.in ${PROJECT_BINARY_DIR}/h5braggConfig.cmake
    INSTALL_DESTINATION ${package_dir}
    PATH_VARS H5BRAGG_PLUGIN_DIR)
write_basic_package_version_file(
    ${PROJECT_BINARY_DIR}/h5braggConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/h5braggConfig.cmake
              ${PROJECT_BINARY_DIR}/h5braggConfigVersion.cmake
        DESTINATION ${package_dir})
install(EXPORT h5bragg NAMESPACE h5bragg:: FILE h5braggTargets.cmake DESTINATION ${package_dir})

# pkg-config --cflags --libs h5bragg
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
relative_folder(prefix_from_pkgconfig FROM ${pkgconfig_dir} TO .)
configure_file(cmake/h5bragg.pc.in ${PROJECT_BINARY_DIR}/h5bragg.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/h5bragg.pc DESTINATION ${pkgconfig_dir})
