"""The page that shows a work_dir, and the plots."""
