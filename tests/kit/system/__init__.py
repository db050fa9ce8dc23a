"""What tests need of the operating system: ports, processes, terminals, a small disk, a local network."""
