"""Seeded fault schedules for operators on a real API server, Job controller and garbage collector."""
