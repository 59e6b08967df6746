"""What those see who run the place: users, storage, queues, versions, charts."""
