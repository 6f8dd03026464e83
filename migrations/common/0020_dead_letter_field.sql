-- Which field of the event was wrong, as the error named it: known for events that ingestion refused.
ALTER TABLE data.dead_letters ADD COLUMN error_field text NOT NULL DEFAULT '';
