-- A range of folded names is the start of a name only where letters are compared byte by byte.
ALTER TABLE patient ALTER COLUMN family_name_folded TYPE TEXT COLLATE "C";
ALTER TABLE patient ALTER COLUMN given_name_folded TYPE TEXT COLLATE "C";
