//! Frameworks, recognised by the packages that a project depends on directly.

use super::dependency::{Dependency, Ecosystem};
use std::collections::BTreeSet;

use Ecosystem::{Cargo, Composer, Go, Maven, Npm, Nuget, Pypi, Rubygems};

/// The package that gives a framework away, and the framework's name. A package that ends in `*`
/// stands for all that begin so.
const KNOWN: [(Ecosystem, &str, &str); 118] = [
    (Cargo, "actix-web", "Actix Web"),
    (Cargo, "async-graphql", "async-graphql"),
    (Cargo, "axum", "axum"),
    (Cargo, "bevy", "Bevy"),
    (Cargo, "clap", "clap"),
    (Cargo, "diesel", "Diesel"),
    (Cargo, "dioxus", "Dioxus"),
    (Cargo, "egui", "egui"),
    (Cargo, "iced", "iced"),
    (Cargo, "leptos", "Leptos"),
    (Cargo, "poem", "Poem"),
    (Cargo, "pyo3", "PyO3"),
    (Cargo, "ratatui", "Ratatui"),
    (Cargo, "rocket", "Rocket"),
    (Cargo, "sea-orm", "SeaORM"),
    (Cargo, "sqlx", "SQLx"),
    (Cargo, "tauri", "Tauri"),
    (Cargo, "tokio", "Tokio"),
    (Cargo, "tonic", "tonic"),
    (Cargo, "warp", "warp"),
    (Cargo, "wasm-bindgen", "wasm-bindgen"),
    (Cargo, "yew", "Yew"),
    (Npm, "@angular/core", "Angular"),
    (Npm, "@apollo/server", "Apollo Server"),
    (Npm, "@nestjs/core", "NestJS"),
    (Npm, "@remix-run/react", "Remix"),
    (Npm, "@sveltejs/kit", "SvelteKit"),
    (Npm, "@tauri-apps/api", "Tauri"),
    (Npm, "astro", "Astro"),
    (Npm, "cypress", "Cypress"),
    (Npm, "electron", "Electron"),
    (Npm, "ember-source", "Ember"),
    (Npm, "expo", "Expo"),
    (Npm, "express", "Express"),
    (Npm, "fastify", "Fastify"),
    (Npm, "gatsby", "Gatsby"),
    (Npm, "hono", "Hono"),
    (Npm, "jest", "Jest"),
    (Npm, "jquery", "jQuery"),
    (Npm, "koa", "Koa"),
    (Npm, "mocha", "Mocha"),
    (Npm, "next", "Next.js"),
    (Npm, "nuxt", "Nuxt"),
    (Npm, "@playwright/test", "Playwright"),
    (Npm, "preact", "Preact"),
    (Npm, "@prisma/client", "Prisma"),
    (Npm, "react", "React"),
    (Npm, "react-native", "React Native"),
    (Npm, "rollup", "Rollup"),
    (Npm, "solid-js", "Solid"),
    (Npm, "svelte", "Svelte"),
    (Npm, "tailwindcss", "Tailwind CSS"),
    (Npm, "three", "three.js"),
    (Npm, "typescript", "TypeScript"),
    (Npm, "vite", "Vite"),
    (Npm, "vitest", "Vitest"),
    (Npm, "vue", "Vue"),
    (Npm, "webpack", "webpack"),
    (Pypi, "aiohttp", "aiohttp"),
    (Pypi, "celery", "Celery"),
    (Pypi, "click", "Click"),
    (Pypi, "django", "Django"),
    (Pypi, "djangorestframework", "Django REST framework"),
    (Pypi, "fastapi", "FastAPI"),
    (Pypi, "flask", "Flask"),
    (Pypi, "jax", "JAX"),
    (Pypi, "langchain", "LangChain"),
    (Pypi, "numpy", "NumPy"),
    (Pypi, "pandas", "pandas"),
    (Pypi, "pydantic", "Pydantic"),
    (Pypi, "pyramid", "Pyramid"),
    (Pypi, "pytest", "pytest"),
    (Pypi, "scikit-learn", "scikit-learn"),
    (Pypi, "scrapy", "Scrapy"),
    (Pypi, "sqlalchemy", "SQLAlchemy"),
    (Pypi, "starlette", "Starlette"),
    (Pypi, "streamlit", "Streamlit"),
    (Pypi, "tensorflow", "TensorFlow"),
    (Pypi, "torch", "PyTorch"),
    (Pypi, "tornado", "Tornado"),
    (Pypi, "transformers", "Transformers"),
    (Pypi, "typer", "Typer"),
    (Go, "github.com/gin-gonic/gin", "Gin"),
    (Go, "github.com/go-chi/chi*", "chi"),
    (Go, "github.com/gofiber/fiber*", "Fiber"),
    (Go, "github.com/gorilla/mux", "gorilla/mux"),
    (Go, "github.com/labstack/echo*", "Echo"),
    (Go, "github.com/spf13/cobra", "Cobra"),
    (Go, "github.com/stretchr/testify", "Testify"),
    (Go, "google.golang.org/grpc", "gRPC"),
    (Go, "gorm.io/gorm", "GORM"),
    (Go, "k8s.io/client-go", "Kubernetes client"),
    (Maven, "androidx.compose*", "Jetpack Compose"),
    (Maven, "com.android*", "Android"),
    (Maven, "io.ktor:*", "Ktor"),
    (Maven, "io.micronaut*", "Micronaut"),
    (Maven, "io.quarkus:*", "Quarkus"),
    (Maven, "io.vertx:*", "Vert.x"),
    (Maven, "junit:junit", "JUnit"),
    (Maven, "org.hibernate*", "Hibernate"),
    (Maven, "org.junit.jupiter:*", "JUnit"),
    (Maven, "org.springframework.boot:*", "Spring Boot"),
    (Maven, "org.springframework:*", "Spring"),
    (Rubygems, "hanami", "Hanami"),
    (Rubygems, "jekyll", "Jekyll"),
    (Rubygems, "rails", "Ruby on Rails"),
    (Rubygems, "rspec*", "RSpec"),
    (Rubygems, "sidekiq", "Sidekiq"),
    (Rubygems, "sinatra", "Sinatra"),
    (Composer, "cakephp/cakephp", "CakePHP"),
    (Composer, "laravel/framework", "Laravel"),
    (Composer, "phpunit/phpunit", "PHPUnit"),
    (Composer, "slim/slim", "Slim"),
    (Composer, "symfony/framework-bundle", "Symfony"),
    (Nuget, "Microsoft.AspNetCore*", "ASP.NET Core"),
    (Nuget, "Microsoft.EntityFrameworkCore*", "Entity Framework Core"),
    (Nuget, "Newtonsoft.Json", "Json.NET"),
    (Nuget, "xunit*", "xUnit.net"),
];

/// The frameworks in use, by name.
pub(super) fn detect(dependencies: &[Dependency]) -> Vec<String> {
    let found: BTreeSet<&str> = dependencies
        .iter()
        .filter(|dependency| dependency.direct)
        .flat_map(|dependency| {
            KNOWN.iter().filter(|(ecosystem, package, _)| {
                *ecosystem == dependency.ecosystem && fits(package, &dependency.name)
            })
        })
        .map(|(_, _, framework)| *framework)
        .collect();
    found.into_iter().map(str::to_owned).collect()
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(ecosystem: Ecosystem, name: &str, direct: bool) -> Dependency {
        Dependency {
            ecosystem,
            name: name.to_owned(),
            version: None,
            direct,
            manifest: String::new(),
            licence: None,
        }
    }

    #[test]
    fn direct_dependencies_give_frameworks_away() {
        for (dependency, expected) in [
            (named(Npm, "react", true), vec!["React"]),
            (named(Npm, "react", false), vec![]),
            (named(Npm, "react-dom-extra", true), vec![]),
            (named(Pypi, "react", true), vec![]),
            (named(Go, "github.com/go-chi/chi/v5", true), vec!["chi"]),
            (
                named(Maven, "org.springframework.boot:spring-boot-starter", true),
                vec!["Spring Boot"],
            ),
        ] {
            assert_eq!(detect(std::slice::from_ref(&dependency)), expected, "{dependency:?}");
        }
    }
}
