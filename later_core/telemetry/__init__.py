"""What the server says about itself: log lines always, metrics and traces where they are asked for."""
