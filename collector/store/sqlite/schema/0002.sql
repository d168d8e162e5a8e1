-- Whether the measure's definition joins the pool: noised windows of 12 weeks of it are told in sums alone.
ALTER TABLE series ADD COLUMN pool INTEGER NOT NULL DEFAULT 0;
-- Figures with noise are counted by themselves; before, they were among the banded.
ALTER TABLE installation_periods ADD COLUMN noised INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account_periods ADD COLUMN noised INTEGER NOT NULL DEFAULT 0;
ALTER TABLE fleet_periods ADD COLUMN noised INTEGER NOT NULL DEFAULT 0;
