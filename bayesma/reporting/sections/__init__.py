"""The sections of a report: Material to blocks, one file each."""
