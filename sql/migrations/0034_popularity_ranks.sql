-- A list in order of follows tells which titles are followed most before any figure is asked for.

ALTER TABLE title_popularity ADD COLUMN rank integer;
ALTER TABLE title_popularity ALTER COLUMN asked_at DROP NOT NULL;
