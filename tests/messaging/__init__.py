"""The messaging layer: one suite over every runtime, and what is one runtime's own."""
