-- What else a list says of an entry, by which it is matched when its title comes.

ALTER TABLE import_entries
    ADD COLUMN other_titles text[] NOT NULL DEFAULT '{}',
    ADD COLUMN author       text NOT NULL DEFAULT '',
    ADD COLUMN is_oneshot   boolean NOT NULL DEFAULT false;
