"""What is stored of endpoints and deliveries."""
