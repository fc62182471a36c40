"""The website: pages, feeds, a calendar and event streams for readers, and health for operators."""
