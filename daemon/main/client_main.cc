#include "daemon/main/program.h"

int main(int argc, char** argv) { return kcptun::run_program(kcptun::Role::kClient, argc, argv); }
