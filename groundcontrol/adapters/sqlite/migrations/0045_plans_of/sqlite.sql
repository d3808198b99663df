-- The batch that planned what a batch does: of it one reads which of the chosen nodes have no job, and why. NULL: started without plans.
ALTER TABLE batch ADD COLUMN plans_of TEXT;
