"""Development networks on one machine: their coin (`devcoin`), their Procfile, and honcho that runs it (`launch`)."""
