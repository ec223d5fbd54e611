// In the proofs, a failed check is a failed proof.
#pragma once
#define KCPTUN_CHECK(condition) __CPROVER_assert(condition, "KCPTUN_CHECK " #condition)
