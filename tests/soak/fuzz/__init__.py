"""Random requests to a live server, by hypothesis, over gRPC and HTTP: bad ones are refused and harm no other."""
