-- In which form of writing a person wants cylinders shown: as_sent, minus, plus.
ALTER TABLE account ADD COLUMN notation TEXT NOT NULL DEFAULT 'as_sent';
