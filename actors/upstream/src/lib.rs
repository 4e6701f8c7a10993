//! I/O to providers: AWS wire calls, the control plane, the fence around URL fetches.
