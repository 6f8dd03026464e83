# Runs the example on its lines: it must print what expected.txt says, and refuse the last line.
execute_process(COMMAND ${PROGRAM} v1.avsc v2.avsc INPUT_FILE lines.jsonl
                OUTPUT_VARIABLE printed RESULT_VARIABLE result)
file(READ expected.txt expected)
if(NOT printed STREQUAL expected OR NOT result EQUAL 1)
  message(FATAL_ERROR "result ${result}, printed:\n${printed}instead of:\n${expected}")
endif()
