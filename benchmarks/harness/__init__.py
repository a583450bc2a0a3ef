"""What the programs share: a real MongoDB and a real server, CPU and memory, statistics, rows, turns."""
