"""Speed and accuracy, measured: `compare` beside other programs, `studies` of why."""
