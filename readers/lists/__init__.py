"""Lists that readers bring and take along: formats, matching, importing, exporting."""
