"""News and calendar for other programs: Atom, JSON Feed and iCalendar. Pure."""
