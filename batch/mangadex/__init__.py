"""All that knows the MangaDex API: requests, responses, and reading its lists."""
