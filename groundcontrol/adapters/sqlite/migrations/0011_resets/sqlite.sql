ALTER TABLE account ADD COLUMN reset_at REAL;       -- when an admin or the console last gave a new password: what was ordered before is not begun
