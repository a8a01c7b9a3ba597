//! Sums of spending.

use orchestrator_core::usage::Spend;

/// Adds `spend` to the line of its provider and model. What has a known cost and what has not stay
/// apart: one sum of both would lose the known part.
pub(crate) fn add(books: &mut Vec<Spend>, spend: Spend) {
    let same = books.iter_mut().find(|line| {
        line.provider == spend.provider
            && line.model == spend.model
            && line.cost.is_some() == spend.cost.is_some()
    });
    let Some(line) = same else {
        books.push(spend);
        return;
    };
    line.requests += spend.requests;
    line.usage += spend.usage;
    line.cost = line.cost.zip(spend.cost).map(|(sum, more)| sum + more);
}

#[cfg(test)]
mod tests {
    use super::*;
    use orchestrator_core::{
        id::ProviderName,
        money::MicroUsd,
        usage::{TokenCount, Usage},
    };

    fn spend(model: &str, cost: Option<u64>) -> Spend {
        Spend {
            provider: ProviderName::new("p").unwrap(),
            model: model.into(),
            requests: 1,
            usage: Usage { input: TokenCount(10), ..Usage::default() },
            cost: cost.map(MicroUsd),
        }
    }

    #[test]
    fn lines_are_summed_by_model_and_by_whether_the_cost_is_known() {
        let mut books = Vec::new();
        for (model, cost) in
            [("a", Some(1)), ("b", Some(2)), ("a", Some(3)), ("a", None), ("a", None)]
        {
            add(&mut books, spend(model, cost));
        }
        let lines: Vec<_> = books
            .iter()
            .map(|line| (line.model.as_str(), line.requests, line.usage.input.0, line.cost))
            .collect();
        let expected =
            [("a", 2, 20, Some(MicroUsd(4))), ("b", 1, 10, Some(MicroUsd(2))), ("a", 2, 20, None)];
        assert_eq!(lines, expected);
    }
}
