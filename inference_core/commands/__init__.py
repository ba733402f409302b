"""The core's subcommands of ``millrace``, one file each."""
