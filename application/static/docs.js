// Opens the API documentation of this very server; nothing is loaded from elsewhere.
window.ui = SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#swagger-ui",
  validatorUrl: null,
  docExpansion: "none",
  filter: true,
  deepLinking: true,
  persistAuthorization: false,
  tryItOutEnabled: true,
});
