"""Everything after a network is chosen: export, compression, measurement, client."""
