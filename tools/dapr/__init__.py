"""The real Dapr runtime on a development machine: where its programs come from, and how to run them locally."""
