"""What is written from the server's types: TypeScript for the clients, tables for the pages of docs/."""
