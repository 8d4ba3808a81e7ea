-- Which documents a stream holds, as its acknowledgements say. NULL in streams from before, and where a
-- document came whose identifier could not be read: then nothing is said.
ALTER TABLE stream ADD COLUMN ids TEXT;
