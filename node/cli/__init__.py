"""The command line `moneyer`: one file a group of commands. Modules here load nothing heavy: commands do, when run."""
