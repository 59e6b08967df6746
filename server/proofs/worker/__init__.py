"""What looks into pictures, draws on them and signs them, in processes of their own. Nobody imports this."""
