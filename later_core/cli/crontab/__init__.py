"""From cron to Later and back: what a crontab says, as schedules, and schedules as a crontab."""
