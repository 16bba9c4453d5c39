# The target `sentencepiece-static`, built from the pinned source distribution on the package index,
# which holds the whole C++ tree. LUTHIER_SENTENCEPIECE_ARCHIVE names a copy that is already here.
set(sentencepiece_version 0.2.2)
set(sentencepiece_sha256 3d2b5e824b5622038dc7b490897efe05ebbbb9e7350fc142f3ecc8789ef9bdf6)
set(LUTHIER_SENTENCEPIECE_ARCHIVE "" CACHE FILEPATH "sentencepiece-${sentencepiece_version}.tar.gz")

set(archive ${LUTHIER_SENTENCEPIECE_ARCHIVE})
if(NOT archive)
  set(archive ${CMAKE_BINARY_DIR}/third_party/sentencepiece-${sentencepiece_version}.tar.gz)
  if(NOT EXISTS ${archive})
    message(STATUS "Fetching the source distribution of sentencepiece ${sentencepiece_version}")
    execute_process(
      COMMAND ${Python_EXECUTABLE} -m pip download --quiet --no-deps --no-binary :all: --dest
              ${CMAKE_BINARY_DIR}/third_party sentencepiece==${sentencepiece_version}
      RESULT_VARIABLE status)
    if(NOT status EQUAL 0)
      message(FATAL_ERROR "could not fetch sentencepiece ${sentencepiece_version}: set LUTHIER_SENTENCEPIECE_ARCHIVE to its source archive")
    endif()
  endif()
endif()
file(SHA256 ${archive} actual_sha256)
if(NOT actual_sha256 STREQUAL sentencepiece_sha256)
  message(FATAL_ERROR "${archive} has sha256 ${actual_sha256}, not ${sentencepiece_sha256}: remove it and configure again")
endif()

set(sentencepiece_source ${CMAKE_BINARY_DIR}/third_party/sentencepiece-${sentencepiece_version})
if(NOT EXISTS ${sentencepiece_source})
  file(ARCHIVE_EXTRACT INPUT ${archive} DESTINATION ${CMAKE_BINARY_DIR}/third_party)
endif()

# Its own abseil is added first, and SPM_ABSL_PROVIDER is neither `module` nor `package`, so that
# nothing is fetched while configuring. Only what the tokeniser links is built.
set(SPM_ENABLE_SHARED OFF CACHE BOOL "" FORCE)
set(SPM_ENABLE_TCMALLOC OFF CACHE BOOL "" FORCE)
set(SPM_ABSL_PROVIDER bundled CACHE STRING "" FORCE)
set(ABSL_PROPAGATE_CXX_STD ON CACHE BOOL "" FORCE)
set(ABSL_ENABLE_INSTALL OFF CACHE BOOL "" FORCE)
add_subdirectory(${sentencepiece_source}/sentencepiece/third_party/abseil-cpp
                 ${CMAKE_BINARY_DIR}/third_party/abseil EXCLUDE_FROM_ALL)
add_subdirectory(${sentencepiece_source}/sentencepiece ${CMAKE_BINARY_DIR}/third_party/sentencepiece EXCLUDE_FROM_ALL)
# It asks for C++17, where abseil's source locations are another type than in C++20: all of it must be one standard.
set_target_properties(sentencepiece-static PROPERTIES CXX_STANDARD 20)
# Its header includes abseil as third_party/absl.
target_include_directories(sentencepiece-static SYSTEM INTERFACE ${sentencepiece_source}/sentencepiece/src
                           ${sentencepiece_source}/sentencepiece)
