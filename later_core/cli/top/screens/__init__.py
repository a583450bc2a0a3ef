"""What ``later top`` shows: a page for each question, and what a key asks before it acts."""
