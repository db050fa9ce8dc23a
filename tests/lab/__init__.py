"""The lab: attacks on a node, experiments and their pictures, and the list of all that it can run."""
