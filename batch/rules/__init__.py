"""What is new and what changed, decided purely: values in, values out."""
