"""Only if changed: fingerprint, compare, plan, audit."""
