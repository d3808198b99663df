"""Jobs and batches: requests, and the tracker that follows a job to its end."""
