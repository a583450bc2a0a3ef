"""The same work by gRPC and the driver alone, without a scheduler: what there is to be reached."""
