# The target `libtorch`: headers and libraries of the torch package of the Python in use. torch's own
# CMake package would also look for a CUDA toolkit, which a CPU build of Luthier does not need.
execute_process(
  COMMAND ${Python_EXECUTABLE} -c
          "import pathlib, importlib.metadata as m; print(m.version('torch').split('+')[0]); print(pathlib.Path(m.distribution('torch').locate_file('torch')).resolve())"
  OUTPUT_VARIABLE torch_answer OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE torch_status ERROR_QUIET)
if(NOT torch_status EQUAL 0)
  message(FATAL_ERROR "torch is not installed for ${Python_EXECUTABLE}: pip install torch==2.13.0")
endif()
string(REPLACE "\n" ";" torch_answer "${torch_answer}")
list(GET torch_answer 0 torch_version)
list(GET torch_answer 1 torch_folder)
if(NOT torch_version STREQUAL "2.13.0")
  message(FATAL_ERROR "Luthier is built against torch 2.13.0, and ${Python_EXECUTABLE} has ${torch_version}: pip install torch==2.13.0")
endif()

add_library(libtorch INTERFACE)
target_include_directories(libtorch SYSTEM INTERFACE ${torch_folder}/include
                                                     ${torch_folder}/include/torch/csrc/api/include)
target_compile_definitions(libtorch INTERFACE _GLIBCXX_USE_CXX11_ABI=1)
target_link_directories(libtorch INTERFACE ${torch_folder}/lib)
# at::parallel_for is a template over OpenMP: without -fopenmp it would run on one thread in silence. The threads are
# those of torch's own OpenMP library, so that there is one pool in the process.
target_compile_options(libtorch INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fopenmp>)
target_link_libraries(libtorch INTERFACE torch_cpu c10 ${torch_folder}/lib/libgomp.so.1)
target_link_options(libtorch INTERFACE -Wl,-rpath,${torch_folder}/lib)
