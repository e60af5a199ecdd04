//! What a step costs beside what it does: the same graph by our engine, by steno, and by a coordinator
//! whose every decision is durable.

use lockstep_engine::{
    Command, Effect, StepOutcome, advance, decide,
    plan::{PlanInput, Wish, plan},
    replay,
    testing::{actor, command_spec, digest, manifest, serving, staging},
};
use lockstep_model::{
    Seq, Timestamp,
    deployment::{Phase, Request, Source},
    event::{Envelope, Event},
    manifest::Manifest,
    plan::{Checkpoint, Plan, StepKind},
};
use lockstep_proof::{
    saga::{Graph, Steno},
    stage,
};
use std::{collections::BTreeMap, collections::VecDeque, sync::Arc, time::Instant};

/// A chain: steno looks at every way back from a node, of which a denser graph has thousands, and that
/// would be measured instead.
const SERVICES: usize = 20;
const TIMES: usize = 25;

/// Prints microseconds a step.
pub fn measure() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let edges: Vec<(usize, usize)> = (1..SERVICES).map(|service| (service, service - 1)).collect();
    let manifest = manifest(SERVICES, &edges, &command_spec());
    let plan = Arc::new(planned(&manifest)?);
    let graph = Graph::of(&nodes(&plan));
    let (mut engine, mut steno, mut durable) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..TIMES {
        let begin = Instant::now();
        run(&plan)?;
        engine.push(begin.elapsed());
        steno.push(runtime.block_on(async {
            let mut executor = Steno::start();
            let begin = Instant::now();
            executor.run(&graph).await;
            let took = begin.elapsed();
            executor.end().await;
            took
        }));
        durable.push(runtime.block_on(stage::release_of(&manifest)));
    }
    let each = |mut times: Vec<std::time::Duration>| {
        times.sort_unstable();
        times[TIMES / 2].as_secs_f64() * 1e6 / plan.steps.len() as f64
    };
    let (engine_us, steno_us, durable_us) = (each(engine), each(steno), each(durable));
    let found = serde_json::json!({
        "steps": plan.steps.len(), "engine_us": engine_us, "steno_us": steno_us, "durable_us": durable_us,
    });
    println!("{found}");
    Ok(())
}

fn planned(manifest: &Manifest) -> anyhow::Result<Plan> {
    let input = PlanInput {
        manifest,
        digest: &digest(),
        environment: &staging(),
        wish: Wish::Release(BTreeMap::new()),
        serving: serving(manifest),
        artifacts: BTreeMap::new(),
        secrets: Default::default(),
        accept_no_rollback: true,
        skip_verification: false,
    };
    plan(&input).map_err(|refusal| anyhow::anyhow!("{refusal}"))
}

/// What each step waits for, and as the last node the moment at which every look has passed: as one
/// node, so that steno has no more edges to follow than we do.
fn nodes(plan: &Plan) -> Vec<Vec<u32>> {
    let looks = |kind| matches!(kind, StepKind::Preflight | StepKind::Precondition);
    let all = (0u32..).zip(&plan.steps);
    let looked = all.filter(|(_, step)| looks(step.kind)).map(|(place, _)| place).collect();
    let moment = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
    let waits = plan.steps.iter().map(|step| {
        let mut after = step.after.clone();
        after.extend(step.kind.is_change().then_some(moment));
        after
    });
    waits.chain([looked]).collect()
}

/// Carries a plan out in memory: every step is begun, and answered well.
fn run(plan: &Arc<Plan>) -> anyhow::Result<()> {
    let now = Timestamp(1_000);
    let request = Request {
        by: actor(),
        reason: None,
        source: Source::default(),
        accept_no_rollback: true,
        asks: None,
        author: None,
    };
    let first = Event::Requested { request, plan: plan.clone() };
    let mut state = replay([Envelope { seq: Seq(1), at: now, event: first }])?;
    let mut open = VecDeque::new();
    let tell = |state: &mut _, open: &mut VecDeque<Effect>, command: Command| -> anyhow::Result<bool> {
        let decision = decide(state, command, now).map_err(|refusal| anyhow::anyhow!("{refusal}"))?;
        let something = !decision.is_nothing();
        for event in decision.events {
            let envelope = Envelope { seq: state.seq.next(), at: now, event };
            advance(state, &envelope)?;
        }
        open.extend(decision.effects);
        Ok(something)
    };
    tell(&mut state, &mut open, Command::Start)?;
    loop {
        while tell(&mut state, &mut open, Command::Proceed)? {}
        let Some(effect) = open.pop_front() else { break };
        let Effect::RunStep { step, attempt } = effect else { anyhow::bail!("nothing fails here") };
        let planned = &plan.steps[step as usize];
        let before = plan.services[planned.service as usize].from.clone();
        let checkpoint = (planned.kind == StepKind::Preflight).then_some(Checkpoint { serving: before });
        let outcome = StepOutcome::Succeeded { evidence: Vec::new(), checkpoint };
        tell(&mut state, &mut open, Command::FinishStep { step, attempt, outcome })?;
    }
    anyhow::ensure!(state.phase == Phase::Succeeded, "it ended as {}", state.phase);
    Ok(())
}
